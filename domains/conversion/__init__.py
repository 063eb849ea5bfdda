"""From a member of a wheel to one Arrow table: a function a source, no network, no cache."""
