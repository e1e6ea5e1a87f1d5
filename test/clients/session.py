# What test/clients/real-clients.test.mjs has Python's libraries do: session.py LIBRARY WHAT URL AGENT. Prints a list of what came.
import asyncio
import importlib
import json
import sys

library, what, url, agent = sys.argv[1:]
module = importlib.import_module(library)
headers = {'user-agent': agent} if agent else {}


class Requests:
    def __init__(self):
        self.session = module.Session()

    async def ask(self, method, path, body=None):
        answer = await asyncio.to_thread(self.session.request, method, url + path, data=body, headers=headers, timeout=30)
        return answer.text

    async def close(self):
        self.session.close()


class Aiohttp:
    def __init__(self):
        self.session = module.ClientSession(timeout=module.ClientTimeout(30))

    async def ask(self, method, path, body=None):
        async with self.session.request(method, url + path, data=body, headers=headers) as answer:
            return await answer.text()

    async def close(self):
        await self.session.close()


class Httpx:
    def __init__(self):
        self.session = module.AsyncClient(timeout=30)

    async def ask(self, method, path, body=None):
        return (await self.session.request(method, url + path, content=body, headers=headers)).text

    async def close(self):
        await self.session.aclose()


async def attempt(session, *request):
    try:
        return await session.ask(*request)
    except Exception as error:
        return repr(error)


def say(results):
    print(json.dumps(results), flush=True)


async def main():
    Session = {'requests': Requests, 'aiohttp': Aiohttp, 'httpx': Httpx}[library]
    if what == 'post':
        session = Session()
        results = []
        for n in range(11):
            results.append(await attempt(session, 'POST', '/post', str(n)))
            await asyncio.sleep(.2 + n * .01)
        say(results)
        await session.close()
    elif what == 'parallel':
        session = Session()
        say(await asyncio.gather(*[attempt(session, 'GET', f'/n/{n}') for n in range(6)]))
        await session.close()
    elif what == 'pools':
        sessions = [Session() for _ in range(5)]
        say([await attempt(session, 'GET', '/') for session in sessions])
        await asyncio.sleep(60)  # it is ended before


asyncio.run(main())
