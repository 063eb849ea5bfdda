"""Tables of patients as one record a row: columns checked, encoded, summarised and split."""
