"""The lab's own certificate authorities and the origin's certificates, good and bad, by the openssl command."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from . import layout, process

ALWAYS = ("20200101000000Z", "20491231235959Z")
PAST = ("20200101000000Z", "20210101000000Z")
FUTURE = ("20480101000000Z", "20491231235959Z")

ROOT_NAME = "Sluice Lab Root"
INTERMEDIATE_NAME = "Sluice Lab Intermediate"
UNKNOWN_NAME = "Sluice Lab Unknown Root"

CONFIGURATION = """\
[req]
distinguished_name = dn
prompt = no
string_mask = utf8only
[dn]
[ca]
default_ca = issuer
[issuer]
database = {directory}/index.txt
new_certs_dir = {directory}/issued
unique_subject = no
default_md = sha256
rand_serial = yes
policy = any
copy_extensions = none
[any]
commonName = optional
organizationName = optional
"""

AUTHORITY_EXTENSIONS = """\
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""


@dataclass(frozen=True)
class Leaf:
    """One origin certificate. `chain` says whether the origin sends its issuer along."""

    name: str
    names: tuple[str, ...]
    issuer: str = "intermediate"
    validity: tuple[str, str] = ALWAYS
    key: str = "p256"
    chain: bool = True
    addresses: tuple[str, ...] = ()
    common_name: str | None = None
    alternative_names: bool = field(default=True)

    def served_names(self) -> tuple[str, ...]:
        """The names the origin answers to, in the strict and in the lenient domain."""
        return (f"{self.name}.{layout.STRICT_DOMAIN}", f"{self.name}.{layout.LENIENT_DOMAIN}")


def both(name: str) -> tuple[str, str]:
    """The name in both domains."""
    return (f"{name}.{layout.STRICT_DOMAIN}", f"{name}.{layout.LENIENT_DOMAIN}")


LEAVES = (
    Leaf("good", both("good")),
    Leaf("bank", both("bank")),
    Leaf("rsa", both("rsa"), key="rsa2048"),
    Leaf("any", ("*.wild.lab.test",), common_name="*.wild.lab.test"),
    Leaf("expired", both("expired"), validity=PAST),
    Leaf("notyet", both("notyet"), validity=FUTURE),
    Leaf("selfsigned", both("selfsigned"), issuer="self"),
    Leaf("wrongname", ("other.lab.test",)),
    Leaf("untrusted", both("untrusted"), issuer="unknown"),
    Leaf("fakeroot", both("fakeroot"), issuer="falseroot"),
    Leaf("nochain", both("nochain"), chain=False),
    Leaf("cnonly", (), common_name="cnonly.lab.test", alternative_names=False),
    Leaf("weak", both("weak"), key="rsa1024"),
    Leaf("site-a", both("site-a")),
    Leaf("site-b", both("site-b")),
    Leaf(
        "address",
        ("address.lab.test",),
        addresses=tuple(layout.bare(address) for address in (*layout.ORIGIN_ADDRESSES, *layout.LENIENT_ADDRESSES)),
    ),
)


def make(directory: Path) -> None:
    """Makes every authority and leaf under `directory`: NAME.key, NAME.pem (leaf first, then what the origin sends)."""
    directory.mkdir(parents=True, exist_ok=True)
    authority(directory, "root", ROOT_NAME, None)
    authority(directory, "intermediate", INTERMEDIATE_NAME, "root")
    authority(directory, "unknown", UNKNOWN_NAME, None)
    # The same distinguished name as the trusted root, another key.
    authority(directory, "falseroot", ROOT_NAME, None)
    (directory / "lab-root.pem").write_bytes((directory / "root.crt").read_bytes())
    for leaf in LEAVES:
        issue(directory, leaf)


def authority(directory: Path, name: str, common_name: str, issuer: str | None) -> None:
    """A certificate authority that can issue: NAME.key, NAME.crt, and its database directory NAME.ca."""
    home = make_database(directory, name)
    (home / "authority.ext").write_text(AUTHORITY_EXTENSIONS, encoding="ascii")
    make_key(directory / f"{name}.key", "p256")
    sign(directory, name, f"/O=Sluice Lab/CN={common_name}", issuer or name, ALWAYS, home / "authority.ext")


def make_database(directory: Path, name: str) -> Path:
    """The directory `openssl ca` keeps its records in for one issuer."""
    home = directory / f"{name}.ca"
    (home / "issued").mkdir(parents=True, exist_ok=True)
    (home / "index.txt").write_text("", encoding="ascii")
    (home / "openssl.cnf").write_text(CONFIGURATION.format(directory=home), encoding="ascii")
    return home


def issue(directory: Path, leaf: Leaf) -> None:
    """One leaf: NAME.key, NAME.crt and NAME.pem."""
    extensions = [
        "basicConstraints = critical, CA:FALSE",
        "keyUsage = critical, digitalSignature",
        "extendedKeyUsage = serverAuth",
        "subjectKeyIdentifier = hash",
    ]
    if leaf.issuer != "self":
        extensions.append("authorityKeyIdentifier = keyid")
    if leaf.alternative_names:
        entries = [f"DNS:{name}" for name in leaf.names] + [f"IP:{address}" for address in leaf.addresses]
        extensions.append(f"subjectAltName = {', '.join(entries)}")
    file = directory / f"{leaf.name}.ext"
    file.write_text("\n".join(extensions) + "\n", encoding="ascii")
    make_key(directory / f"{leaf.name}.key", leaf.key)
    common_name = leaf.common_name or leaf.names[0]
    subject = f"/O=Sluice Lab Origin/CN={common_name}"
    issuer = leaf.issuer
    if issuer == "self":
        issuer = leaf.name
        make_database(directory, issuer)
    sign(directory, leaf.name, subject, issuer, leaf.validity, file)
    sent = (directory / f"{leaf.name}.crt").read_text(encoding="ascii")
    if leaf.chain and leaf.issuer != "self":
        sent += (directory / f"{leaf.issuer}.crt").read_text(encoding="ascii")
    (directory / f"{leaf.name}.pem").write_text(sent, encoding="ascii")


def make_key(file: Path, kind: str) -> None:
    """A private key in PKCS#8 PEM, readable by its owner only."""
    options = {
        "p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "rsa2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "rsa1024": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
    }[kind]
    process.run(["openssl", "genpkey", *options, "-out", file])
    file.chmod(0o600)


def sign(directory: Path, name: str, subject: str, issuer: str, validity: tuple[str, str], extensions: Path) -> None:
    """Signs NAME.key's public key under `subject`; `issuer` equal to `name` means self-signed."""
    home = directory / f"{issuer}.ca"
    request = directory / f"{name}.csr"
    configuration = home / "openssl.cnf"
    process.run(
        ["openssl", "req", "-new", "-config", configuration, "-key", directory / f"{name}.key", "-subj", subject]
        + ["-out", request]
    )
    if issuer == name:
        who: list[str | Path] = ["-selfsign", "-keyfile", directory / f"{name}.key"]
    else:
        who = ["-cert", directory / f"{issuer}.crt", "-keyfile", directory / f"{issuer}.key"]
    process.run(
        ["openssl", "ca", "-batch", "-notext", "-preserveDN", "-config", configuration, *who, "-in", request]
        + ["-startdate", validity[0], "-enddate", validity[1], "-extfile", extensions]
        + ["-out", directory / f"{name}.crt"]
    )
    request.unlink()
