"""Online serving: one version of a model over HTTP, the one its alias points to at the moment.

door       who may ask, how often, how much at once: before a body is read
bodies     a request's body, in bounded memory
questions  a body as records or images
line       one thread answers whatever waits, together
answers    records or images to predictions, and reasons a row has none
following  the alias: load beside, warm, swap
app        the routes; `running` starts them and ends them in good order
"""
