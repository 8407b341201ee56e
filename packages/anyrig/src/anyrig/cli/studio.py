"""``anyrig studio``."""

from __future__ import annotations

import argparse
import webbrowser

from anyrig.cli._options import add_model_options, open_model, say


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one (default: 8765)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    add_model_options(parser)


def main(args: argparse.Namespace) -> int:
    """Serves until interrupted."""
    model, sampling = open_model(args)
    from anyrig.studio import Session, serve

    server = serve(Session(model, sampling), args.port)
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    say(f"studio at {address} (Ctrl-C ends it)")
    if not args.no_browser:
        webbrowser.open(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("")
    finally:
        server.server_close()
    return 0
