"""Images read from any kind of file, freed of copies, split and kept."""
