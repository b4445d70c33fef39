"""The origin: nginx with a certificate per host, static files, uploads and git over HTTPS."""

from __future__ import annotations

import shutil
from pathlib import Path

from . import layout, limits, process
from .certificates import LEAVES, Leaf
from .layout import Paths

BYTES_SERVED = (0, 1, 1024, 16_384, 65_536, 1_048_576, 16_777_216)
# nginx refuses a key this short at its security level; a test that wants it starts its own server.
NOT_BY_NGINX = ("weak",)
GIT_PORT = 8090
TLS12_PORT = 8012
TLS13_PORT = 8013
SERVER_INSPECTION_PORT = 8443
SERVER_INSPECTION_HOSTS = ("site-a", "site-b")

MAIN = """\
user root;
worker_processes 1;
daemon off;
pid {origin}/nginx.pid;
error_log {logs}/nginx-error.log info;
events {{ worker_connections 8192; multi_accept on; }}
worker_rlimit_nofile 20000;
http {{
    default_type application/octet-stream;
    log_format facts escape=json '{{"time":"$msec","client":"$remote_addr","port":$server_port,"sni":"$ssl_server_name","host":"$host","method":"$request_method","path":"$request_uri","status":$status,"http":"$server_protocol","tls":"$ssl_protocol","cipher":"$ssl_cipher"}}';
    access_log {logs}/nginx-access.log facts;
    client_body_temp_path {data}/body;
    proxy_temp_path {data}/proxy;
    fastcgi_temp_path {data}/fastcgi;
    uwsgi_temp_path {data}/uwsgi;
    scgi_temp_path {data}/scgi;
    client_max_body_size 0;
    keepalive_timeout 75s;
    keepalive_requests 1000000;
    sendfile off;
    tcp_nodelay on;
    ssl_session_cache shared:lab:4m;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers off;
{servers}}}
"""

SERVER = """\
    server {{
{listens}
        server_name {names};
        ssl_certificate {pki}/{name}.pem;
        ssl_certificate_key {pki}/{name}.key;
{more}        include {origin}/locations.conf;
    }}
"""

LOCATIONS = """\
root {www};
location = / {{ return 200 "sluice lab origin\\n"; }}
location = /echo {{
    default_type application/json;
    return 200 '{{"host":"$host","sni":"$ssl_server_name","tls":"$ssl_protocol","cipher":"$ssl_cipher","http":"$server_protocol","client":"$remote_addr","port":"$server_port","alpn":"$ssl_alpn_protocol"}}\\n';
}}
location /upload/ {{
    dav_methods PUT DELETE;
    create_full_put_path on;
}}
location /git/ {{
    proxy_pass http://127.0.0.1:{git_port};
    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_buffering off;
    proxy_set_header Host $host;
}}
"""


def hosts() -> list[tuple[str, str]]:
    """Every (address, name) pair that the namespaces resolve."""
    pairs: list[tuple[str, str]] = []
    names = [leaf.name for leaf in LEAVES] + ["a.wild", "b.wild", "missing"]
    for addresses, domain in (
        (layout.ORIGIN_ADDRESSES, layout.STRICT_DOMAIN),
        (layout.LENIENT_ADDRESSES, layout.LENIENT_DOMAIN),
    ):
        for address in addresses:
            pairs += [(layout.bare(address), f"{name}.{domain}") for name in names]
    return pairs


def prepare(paths: Paths) -> None:
    """Writes what the origin serves and its configuration."""
    for directory in (paths.origin, paths.logs, paths.www / "bytes", paths.upload):
        directory.mkdir(parents=True, exist_ok=True)
    for count in BYTES_SERVED:
        write_pattern(paths.www / "bytes" / str(count), count)
    make_repository(paths)
    (paths.origin / "locations.conf").write_text(
        LOCATIONS.format(www=paths.www, git_port=GIT_PORT), encoding="ascii"
    )
    servers = "".join(render(paths, leaf) for leaf in LEAVES if leaf.name not in NOT_BY_NGINX)
    for port, version in ((TLS12_PORT, "TLSv1.2"), (TLS13_PORT, "TLSv1.3")):
        servers += block(paths, "good", "good.lab.test", [(port, True)], f"        ssl_protocols {version};\n")
    servers += (
        "    server {\n        listen 80 default_server;\n        listen [::]:80 default_server;\n"
        f"        include {paths.origin}/locations.conf;\n    }}\n"
    )
    text = MAIN.format(origin=paths.origin, logs=paths.logs, data=paths.data, servers=servers)
    (paths.origin / "nginx.conf").write_text(text, encoding="ascii")


def start(paths: Paths) -> dict[str, int]:
    """Starts the servers and returns when they listen; the pids by name."""
    configuration = paths.origin / "nginx.conf"
    process.run(process.in_namespace(layout.ORIGIN, ["nginx", "-t", "-e", "stderr", "-c", configuration]))
    git = process.spawn(
        process.in_namespace(
            layout.ORIGIN, [Path(__file__).with_name("gitserver.py"), str(GIT_PORT), str(paths.git)]
        ),
        paths.logs / "git.log",
    )
    nginx = process.spawn(
        process.in_namespace(layout.ORIGIN, ["nginx", "-e", "stderr", "-c", configuration]), paths.logs / "nginx.log"
    )
    pids = {"nginx": nginx, "git": git}
    wanted = {80, 443, SERVER_INSPECTION_PORT, TLS12_PORT, TLS13_PORT, GIT_PORT}
    if not process.wait_until(lambda: wanted <= listening() or not all(map(process.alive, pids.values())), limits.SOCKET_READY_SECONDS_MAX):
        raise process.LabError(f"the origin does not listen on {sorted(wanted - listening())}")
    for name, pid in pids.items():
        if not process.alive(pid):
            raise process.LabError(f"the origin's {name} ended at once; see its log")
    return pids


def listening() -> set[int]:
    """The TCP ports the origin listens on."""
    table = process.run(process.in_namespace(layout.ORIGIN, ["ss", "-Hltn"])).stdout
    return {int(line.split()[3].rpartition(":")[2]) for line in table.splitlines() if len(line.split()) > 3}


def write_pattern(file: Path, count: int) -> None:
    """`count` bytes in which each 4,096-byte block carries its own offset, so that a shifted or repeated block is seen."""
    with file.open("wb") as sink:
        for offset in range(0, count, 4096):
            block_bytes = (b"%015x\n" % offset) * 256
            sink.write(block_bytes[: count - offset])


def make_repository(paths: Paths) -> None:
    """A bare git repository with two commits, served under /git/lab.git."""
    repository = paths.git / "lab.git"
    work = paths.data / "git-work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    identity = ["-c", "user.name=Lab", "-c", "user.email=lab@lab.test"]
    process.run(["git", "-C", work, "init", "-q", "-b", "main"])
    (work / "README").write_text("A repository of the lab.\n", encoding="ascii")
    process.run(["git", "-C", work, "add", "README"])
    process.run(["git", "-C", work, *identity, "commit", "-q", "-m", "first"])
    write_pattern(work / "large", 4_000_000)
    process.run(["git", "-C", work, "add", "large"])
    process.run(["git", "-C", work, *identity, "commit", "-q", "-m", "second"])
    process.run(["git", "clone", "-q", "--bare", work, repository])
    process.run(["git", "-C", repository, "config", "http.receivepack", "true"])
    shutil.rmtree(work)


def render(paths: Paths, leaf: Leaf) -> str:
    """The server block of one host."""
    ports = [(443, leaf.name == "address")]
    if leaf.name in SERVER_INSPECTION_HOSTS:
        ports.append((SERVER_INSPECTION_PORT, leaf.name == SERVER_INSPECTION_HOSTS[0]))
    if leaf.name == "any":
        names = "*.wild.lab.test"
    else:
        names = " ".join(leaf.served_names())
    return block(paths, leaf.name, names, ports, "")


def block(paths: Paths, name: str, names: str, ports: list[tuple[int, bool]], more: str) -> str:
    """A server block with HTTP/2 and HTTP/1.1 on IPv4 and IPv6."""
    listens = "\n".join(
        f"        listen {family}{port} ssl http2{' default_server' if default else ''};"
        for port, default in ports
        for family in ("", "[::]:")
    )
    return SERVER.format(listens=listens, names=names, name=name, pki=paths.pki, origin=paths.origin, more=more)
