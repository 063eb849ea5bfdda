"""What a run may learn about one record, and who keeps count.

Unit: one record, added to or removed from one owner's data. Each owner's number of records and
the schema are public. Everything that looks at training values goes through `noise`, is described
by JSON events that `accounting` composes by privacy loss distributions, is planned to a target by
`plan`, and is charged in `ledger` before the first record is read.
"""
