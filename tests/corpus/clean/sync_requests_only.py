#%%
import http.server
import threading
import time
import requests

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.1)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"page")

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = "http://127.0.0.1:%d/" % server.server_port

#%%
pages = [requests.get(base + str(n)).text for n in range(3)]
len(pages)

#%%
server.shutdown()
server.server_close()
