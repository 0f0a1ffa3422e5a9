"""Uvicorn with the app, watched from its first moment. Told to, it stops listening and keeps the websockets it has."""

import asyncio

import breaks
import uvicorn


async def main() -> None:
    """Serve until told to end."""
    server = uvicorn.Server(uvicorn.Config("app:app", host="0.0.0.0", port=8000))  # noqa: S104 - in a pod
    loop = asyncio.get_running_loop()
    breaks.watch(listen=lambda: loop.call_soon_threadsafe(stop_listening, server))
    await server.serve()


def stop_listening(server: uvicorn.Server) -> None:
    """Take in nobody else."""
    for listener in server.servers:
        listener.close()


if __name__ == "__main__":
    asyncio.run(main())
