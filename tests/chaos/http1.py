"""An HTTP/1.1 client for asyncio with persistent connections, as small as the load needs it."""

import asyncio
import dataclasses


class ConnectionLost(OSError):
    """The connection ended before the answer did."""


@dataclasses.dataclass
class Answer:
    """One answer."""

    status: int
    headers: dict
    body: bytes


class Connection:
    """One connection, on which requests follow each other."""

    def __init__(self, reader, writer, host):
        self.reader, self.writer, self.host = reader, writer, host
        self.is_usable = True
        self.requests = 0

    @classmethod
    async def open(cls, host, port, tls=None):
        reader, writer = await asyncio.open_connection(host, port, ssl=tls)
        return cls(reader, writer, f"{host}:{port}")

    async def request(self, method, path, headers, body):
        """Sends a request and reads its answer. Whatever fails, the connection is of no more use."""
        self.is_usable = False
        self.requests += 1
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", *(f"{name}: {text}" for name, text in headers.items())]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        try:
            self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            await self.writer.drain()
            head = await self.reader.readuntil(b"\r\n\r\n")
            status_line, *fields = head.decode("latin-1").rstrip().split("\r\n")
            answered = {name.lower(): text.strip() for name, text in (field.split(":", 1) for field in fields)}
            status = int(status_line.split(" ")[1])
            if method == "HEAD" or status in (204, 304):
                received = b""
            elif answered.get("transfer-encoding") == "chunked":
                received = await self.read_chunks()
            elif "content-length" in answered:
                received = await self.reader.readexactly(int(answered["content-length"]))
            else:
                received = await self.reader.read()
                answered["connection"] = "close"
        except (asyncio.IncompleteReadError, ConnectionError) as lost:
            raise ConnectionLost(str(lost)) from lost
        self.is_usable = answered.get("connection", "").lower() != "close"
        return Answer(status, answered, received)

    async def read_chunks(self):
        parts = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readuntil(b"\r\n")
        return b"".join(parts)

    def close(self):
        self.is_usable = False
        self.writer.close()


async def request_once(host, port, method, path, headers=None, body=b"", tls=None, timeout=10.0):
    """One request on a connection of its own."""

    async def run():
        connection = await Connection.open(host, port, tls)
        try:
            return await connection.request(method, path, {"Connection": "close", **(headers or {})}, body)
        finally:
            connection.close()

    return await asyncio.wait_for(run(), timeout)
