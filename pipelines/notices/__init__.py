"""Messages to people: what is told, kept until it is delivered, and signed."""
