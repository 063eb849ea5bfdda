"""The twelve flat MedMNIST v2 sets at 28 pixels, by download from where their authors keep them.

Addresses and MD5 as in version 3.0.2 of the authors' own package (medmnist/info.py). The MD5
guards against broken downloads; it is all that the authors publish.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from domains.errors import InputError
from domains.fetching import (
    Progress,
    Unreachable,
    cache_folder,
    check_hash,
    file_hash,
    locked,
    quiet,
)

BASE_URL = "https://zenodo.org/records/10519652/files"
_CHUNK = 1 << 18
_TIMEOUT_S = 30


@dataclass(frozen=True)
class MedmnistSet:
    """One set: MD5 of its file, number of images (train, val and test together), licence."""

    md5: str
    rows: int
    licence: str = "CC BY 4.0"


MEDMNIST = {
    "pathmnist": MedmnistSet("a8b06965200029087d5bd730944a56c1", 107_180),
    "chestmnist": MedmnistSet("02c8a6516a18b556561a56cbdd36c4a8", 112_120),
    "dermamnist": MedmnistSet("0744692d530f8e62ec473284d019b0c7", 10_015, "CC BY-NC 4.0"),
    "octmnist": MedmnistSet("c68d92d5b585d8d81f7112f81e2d0842", 109_309),
    "pneumoniamnist": MedmnistSet("28209eda62fecd6e6a2d98b1501bb15f", 5_856),
    "retinamnist": MedmnistSet("bd4c0672f1bba3e3a89f0e4e876791e4", 1_600),
    "breastmnist": MedmnistSet("750601b1f35ba3300ea97c75c52ff8f6", 780),
    "bloodmnist": MedmnistSet("7053d0359d879ad8a5505303e11de1dc", 17_092),
    "tissuemnist": MedmnistSet("ebe78ee8b05294063de985d821c1c34b", 236_386),
    "organamnist": MedmnistSet("68e3f8846a6bd62f0c9bf841c0d9eacc", 58_830),
    "organcmnist": MedmnistSet("b9ceb9546e10131b32923c5bbeaea2b1", 23_583),
    "organsmnist": MedmnistSet("9ab87b696fb54e2a387ebe992d6ed5f1", 25_211),
}


def fetch_medmnist(name: str, base_url: str = BASE_URL, progress: Progress = quiet) -> Path:
    """The `.npz` file of a MedMNIST set, fetched when the cache does not hold it.

    A broken download is taken up where it stopped. The file holds plain arrays; open it with
    `numpy.load(path, allow_pickle=False)`.

    Args:
        name: A key of `MEDMNIST`, with or without `medmnist/` before it.
        base_url: Folder on a web server that holds `NAME.npz`.
        progress: Told what is going on, a line at a time.

    Raises:
        Unreachable: The server did not give the whole file; what came is kept.
        InputError: Unknown name, or a file whose MD5 is not the pinned one (it is removed).
    """
    name = name.removeprefix("medmnist/").lower()
    if name not in MEDMNIST:
        raise InputError(f"no MedMNIST set named {name!r}; there are: {', '.join(MEDMNIST)}")
    folder = cache_folder() / "medmnist"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.npz"
    with locked(path):
        md5 = MEDMNIST[name].md5
        if not path.exists() or file_hash(path, "md5") != md5:
            _download(f"{base_url}/{name}.npz?download=1", path, md5, progress)
    return path


def _download(address: str, path: Path, md5: str, progress: Progress) -> None:
    part = path.with_name(f"{path.name}.part")
    progress(f"fetching {address.partition('?')[0]}")
    try:
        _receive(address, part, progress)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        kept = part.stat().st_size if part.exists() else 0
        raise Unreachable(
            f"{path.name} could not be fetched from {address.partition('?')[0]} ({error}); "
            f"{kept:,} bytes are kept: check the network and try again"
        ) from None
    check_hash(part, md5, "md5")
    part.replace(path)


def _receive(address: str, part: Path, progress: Progress) -> None:
    """Append to `part` what it lacks; from the start if the server cannot continue."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        return  # Nothing lies beyond what is kept: its hash will tell.
    with response:
        continues = response.status == http.HTTPStatus.PARTIAL_CONTENT
        length = response.headers.get("Content-Length")
        total = (have if continues else 0) + int(length) if length else None
        with part.open("ab" if continues else "wb") as out:
            _copy(response, out, total, progress)


def _copy(
    response: http.client.HTTPResponse, out: IO[bytes], total: int | None, progress: Progress
) -> None:
    """Copy to the end, telling each quarter; OSError when the sender stops short."""
    quarters = 0
    while chunk := response.read(_CHUNK):
        out.write(chunk)
        if total and out.tell() * 4 // total > quarters:
            quarters = out.tell() * 4 // total
            progress(f"{out.tell() / 1e6:.1f} of {total / 1e6:.1f} MB")
    if total is not None and out.tell() < total:
        raise OSError(f"the connection ended after {out.tell():,} of {total:,} bytes")
