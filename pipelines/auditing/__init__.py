"""Attack what a run claimed: its plan and its code again, on made-up records, at nobody's cost.

`claim` reads what was promised, charged and done; `synthetic` makes clients of the same shape with
canaries among their records; `attack` and `probe` run the engine on them and watch what leaves each
client; `checks` compares; `record` writes the answer beside the run.
"""
