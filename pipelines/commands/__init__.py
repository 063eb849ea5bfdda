"""Commands of `careledger`, a file a group; each imports what it needs when it is called."""
