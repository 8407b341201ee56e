#!/bin/sh
# A tool of the MCP Python SDK's server with a parameter `str | None` (or `str | int`) does not get every text: a text
# that happens to be JSON is decoded before it is validated. "null" arrives as None, and "[1]" or {"a": 1} as text are
# refused as no string, although both are valid strings by the schema that the server itself lists. A parameter `str`
# alone takes all of them as they are. So code, JSON and query texts reach a tool or not by whether it has a default.
# Installs mcp. Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mcp==2.3.0
"$folder/venv/bin/python" - <<'PY' 2>/dev/null
import asyncio
import sys
from importlib.metadata import version

from mcp import Client
from mcp.server.mcpserver import MCPServer

server = MCPServer("echo")


@server.tool(structured_output=False)
def needed(text: str) -> str:
    return repr(text)


@server.tool(structured_output=False)
def optional(text: str | None = None) -> str:
    return repr(text)


async def main():
    found = {}
    async with Client(server) as client:
        for tool in ("needed", "optional"):
            for text in ("null", "[1]", '{"a": 1}', "7", "hello"):
                result = await client.call_tool(tool, {"text": text})
                found[tool, text] = "refused" if result.is_error else result.content[0].text
    print(f"mcp {version('mcp')}: what a tool gets for a text")
    for (tool, text), got in found.items():
        print(f"{tool}: {text!r} -> {got}")
    as_sent = all(found["needed", text] == repr(text) for _, text in found)
    odd = found["optional", "null"] == "None" and found["optional", "[1]"] == found["optional", '{"a": 1}'] == "refused"
    return as_sent and odd and found["optional", "7"] == "'7'"


sys.exit(0 if asyncio.run(main()) else 1)
PY
