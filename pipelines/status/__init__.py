"""What ran, what failed, what serves, what is left: gathered from many sources, told three ways.

`snapshot.take` asks every source, each in a thread and for a short while, so that one that is
missing, slow or broken costs a line and nothing else. `text.tell` is the terminal's, `page.write`
the browser's, and the snapshot itself, as JSON, a program's. `needs.people` picks what must not
wait. Nothing here reads a record, a prediction or a metric.
"""
