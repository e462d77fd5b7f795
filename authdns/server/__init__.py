"""The only asyncio: UDP, TCP, reload, NOTIFY over sockets; app composes them and holds publish()."""
