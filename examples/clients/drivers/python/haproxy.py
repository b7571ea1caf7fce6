"""HAProxy with its usual recipe for Redis: the server that says role:master gets the connections. It asks no sentinel."""

import os
import socket
import subprocess
import tempfile

import told

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
servers = "\n".join(f"  server s{at} {addr} check inter 500ms" for at, addr in enumerate(os.environ["SERVERS"].split(",")))
config = f"""
global
  maxconn 100
defaults
  mode tcp
  timeout connect 1s
  timeout client 30s
  timeout server 30s
frontend redis
  bind 127.0.0.1:{port}
  default_backend masters
backend masters
  option tcp-check
  tcp-check send PING\\r\\n
  tcp-check expect string +PONG
  tcp-check send info\\ replication\\r\\n
  tcp-check expect string role:master
  tcp-check send QUIT\\r\\n
  tcp-check expect string +OK
  default-server on-marked-down shutdown-sessions
{servers}
"""
with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
    file.write(config)
    file.flush()
    balancer = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "haproxy", "-db", "-f", file.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    told.say(begin=True)
    line = None

    def write(number):
        global line
        if line is None:
            line = socket.create_connection(("127.0.0.1", port), timeout=1)
        try:
            line.sendall(f"SET haproxy {number}\r\n".encode())
            answer = line.recv(200)
        except OSError:
            line.close()
            line = None
            raise
        if answer != b"+OK\r\n":
            if not answer:
                line.close()
                line = None
            raise RuntimeError(answer.decode().strip() or "closed")

    told.write_for_ever(write)
