"""Rounds of a private training that may have been noised without a trace, and are paid for again.

Unit, ε and δ are the plan's (`privacy.plan`). A round is done when its result is on disk. Whatever
an earlier attempt may have noised beyond that counts as released: it is charged once more before
anything is noised again.
"""

from __future__ import annotations

from collections.abc import Callable

from models.checkpoint import Checkpoint


def settle(
    kept: Checkpoint,
    done: int,
    rounds: int,
    before_training: Callable[[int], None] | None,
    save: Callable[[], None],
) -> None:
    """Have lost rounds charged, and leave a sign on disk before the first record is noised.

    Args:
        kept: The training's checkpoint, as `load` has found it.
        done: Rounds whose result is on disk.
        rounds: Rounds of the whole training.
        before_training: Told how many rounds are lost. It charges them, or raises.
        save: Writes the checkpoint.
    """
    begun = kept.path.exists()
    lost = int(done < rounds) if begun else rounds * (kept.set_aside or kept.missing)
    if lost and before_training is not None:
        before_training(lost)
    if not begun:
        save()
    kept.begin()
