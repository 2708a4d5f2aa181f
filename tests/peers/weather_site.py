"""The files of a folder, by Python's http.server, for clients that accept JSON: others get status 406.

Usage: weather_site.py FOLDER

Listens on a free port of 127.0.0.1 and says so, as `python -m http.server` does.
"""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


class ForJson(SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get_all('Accept') != ['application/json']:
            self.send_error(406)
            return
        super().do_GET()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(('127.0.0.1', 0), partial(ForJson, directory=sys.argv[1]))
print(f'Serving HTTP on 127.0.0.1 port {server.server_port} (http://127.0.0.1:{server.server_port}/) ...', flush=True)
server.serve_forever()
