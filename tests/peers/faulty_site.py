"""A web site for tests, by Python's http.server: it responds as the path says.

/status/500      that status, with a short body
/bytes/9000000   that many bytes
/redirect?URL    302 to URL

Listens on a free port of 127.0.0.1 and says so, as `python -m http.server` does.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FaultySite(BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition('?')
        kind, _, value = path.strip('/').partition('/')
        if kind == 'redirect':
            self.send_response(302)
            self.send_header('Location', query)
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        body = b'x' * int(value) if kind == 'bytes' else b'as asked'
        self.send_response(int(value) if kind == 'status' else 200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            # The client closed the connection.
            pass

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(('127.0.0.1', 0), FaultySite)
print(f'Serving HTTP on 127.0.0.1 port {server.server_port} (http://127.0.0.1:{server.server_port}/) ...', flush=True)
server.serve_forever()
