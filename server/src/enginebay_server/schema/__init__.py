"""What a client may say: our own models of the wire, strict in types and bounds."""
