"""Zone transfer and NOTIFY as state machines without sockets, and who may ask for what."""
