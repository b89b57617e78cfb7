"""A server under siege from one machine: does it still answer others at once?

python benchmarks/flood.py [--websockets N] [--uploads N] [--origins N] [--rate R] [--seconds T] [--json]: "worst_ms" and "p50_ms", how
long the health check takes, asked ten times a second while N idle websockets open, N files trickle up at a kilobyte a second, and N pages
of other origins ask for a websocket, R new connections a second in all (0: all at once), and while they stay; "alone_p50_ms" and
"alone_worst_ms" of the same server before; "open", "let_in" and "refused", how many of each there were; "outside", connections of the
server to other machines. Everything goes to a server on this machine and ends T seconds after all are there.
"""

import argparse
import asyncio
import http.client
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Coroutine, Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from websockets import InvalidStatus, Origin, Subprotocol
from websockets.asyncio.client import ClientConnection, connect

from tools.servers import serve
from tools.visitor import XSRF, Visitor

UPLOAD_BYTES = 2**20
WARM_S = 8.0
T = TypeVar("T")


def answer_times(url: str, seconds: float) -> list[float]:
    """Return how many milliseconds each health check took, ten a second."""
    address, times = urlsplit(url), []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        line = http.client.HTTPConnection("127.0.0.1", address.port, timeout=60)
        began = time.perf_counter()
        line.request("GET", "/_stcore/health", headers={"Host": address.netloc})
        line.getresponse().read()
        times.append(1000 * (time.perf_counter() - began))
        line.close()
        time.sleep(0.1)
    return times


def besiege(url: str, websockets: int, uploads: int, origins: int, rate: float, talk: Connection) -> None:
    """Open everything, tell how many of each there are, and hold on until told to end."""
    asyncio.run(_besiege(url, websockets, uploads, origins, rate, talk))


async def _besiege(url: str, websockets: int, uploads: int, origins: int, rate: float, talk: Connection) -> None:
    stream = f"{url.replace('http', 'ws')}/_stcore/stream"

    async def paced(works: Iterable[Coroutine[Any, Any, T]]) -> list[asyncio.Task[T]]:
        tasks = []
        for work in works:
            tasks.append(asyncio.create_task(work))
            await asyncio.sleep(1 / rate if rate else 0)
        return tasks

    async def idle() -> ClientConnection:
        return await connect(stream, origin=Origin(url), subprotocols=[Subprotocol("streamlit")], open_timeout=60)

    async def foreign() -> bool:
        try:
            await connect(
                stream, origin=Origin("http://evil.example"), subprotocols=[Subprotocol("streamlit")], open_timeout=60
            )
        except InvalidStatus:
            return True
        return False

    async with Visitor(url) as visitor:
        talk.send("began")
        opening = await paced(idle() for _ in range(websockets))
        paths = [(await visitor.address("a.wav")).upload_url for _ in range(uploads)]
        trickles = await paced(_trickle(visitor, path) for path in paths)
        refused = await asyncio.gather(*await paced(foreign() for _ in range(origins)))
        held = await asyncio.gather(*opening)
        talk.send("open")
        await asyncio.to_thread(talk.recv)
        ended = sum(each.done() for each in trickles)
        talk.send({"open": len(held), "let_in": len(trickles) - ended, "refused": sum(refused)})
        for each in trickles:
            each.cancel()
        await asyncio.gather(*trickles, *(each.close() for each in held), return_exceptions=True)


async def _trickle(visitor: Visitor, path: str) -> None:
    """Send a file up, a kilobyte a second; ends where the server ends it."""
    address = urlsplit(visitor.url)
    token = visitor.http.cookies.get(XSRF) or ""
    head = (
        f"PUT {path} HTTP/1.1",
        f"Host: {address.netloc}",
        f"Cookie: {XSRF}={token}",
        f"X-Xsrftoken: {token}",
        "Content-Type: multipart/form-data; boundary=b",
        f"Content-Length: {UPLOAD_BYTES}",
        "",
        "",
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
    try:
        writer.write(
            "\r\n".join(head).encode() + b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        )
        while not reader.at_eof():
            writer.write(bytes(1024))
            await writer.drain()
            try:
                if await asyncio.wait_for(reader.read(1024), 1):
                    return
            except TimeoutError:
                continue
    except ConnectionError:
        return
    finally:
        writer.close()


async def come(url: str) -> None:
    """Be the first visitor, for whom the server loads what all pages need."""
    async with Visitor(url):
        pass


def outside(process: psutil.Process) -> int:
    """Return how many connections of a process lead to another machine."""
    return sum(bool(each.raddr) and not each.raddr.ip.startswith("127.") for each in process.net_connections())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, number in (("websockets", 500), ("uploads", 200), ("origins", 100)):
        parser.add_argument(f"--{name}", type=int, default=number, metavar="N")
    parser.add_argument("--rate", type=float, default=100, metavar="R")
    parser.add_argument("--seconds", type=float, default=20, metavar="T")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with serve() as server:
        asyncio.run(come(server.url))
        time.sleep(WARM_S)
        alone = answer_times(server.url, min(options.seconds, 5))
        here, there = multiprocessing.get_context("spawn").Pipe()
        attacker = multiprocessing.get_context("spawn").Process(
            target=besiege,
            args=(server.url, options.websockets, options.uploads, options.origins, options.rate, there),
            daemon=True,
        )
        attacker.start()
        here.recv()
        times = []
        while not here.poll():
            times += answer_times(server.url, 0.5)
        here.recv()
        times += answer_times(server.url, options.seconds)
        n_outside = outside(psutil.Process(server.process.pid))
        here.send("end")
        counts = here.recv()
        attacker.join(30)
    figures = {
        "worst_ms": round(max(times), 1),
        "p50_ms": round(statistics.median(times), 1),
        "alone_worst_ms": round(max(alone), 1),
        "alone_p50_ms": round(statistics.median(alone), 1),
        **counts,
        "outside": n_outside,
        "errors": int(counts["refused"] < options.origins),
    }
    print(json.dumps(figures) if options.json else "\n".join(f"{name:15} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
