"""Versions and the rules between them: registry, gate, moves of the champion, who may know what."""
