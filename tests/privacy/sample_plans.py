"""Plans whose sums are exact."""

from privacy.plan import PrivacyPlan

SILENT = PrivacyPlan(
    rounds=1,
    local_steps=1,
    sampling_rate=1.0,
    epsilon=100.0,
    delta=1e-5,
    noise_multiplier=0.0,
    clip_norm=1.0,
)
