"""What a run found, drawn and written for people: figures, report, model card."""
