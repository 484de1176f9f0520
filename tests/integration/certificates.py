"""Certificates for the tests, made anew each time: an authority, and whatever it is asked to sign."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


class Authority:
    """Writes NAME.crt and NAME.key into a folder. Valid from yesterday until tomorrow unless said otherwise."""

    def __init__(self, folder, name="ca"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = self._name(f"the tests' {name}")
        self.certificate = self._sign(self.name, self.key.public_key(), [], x509.BasicConstraints(True, 0), -1, 1)
        self.file = self._write(name, self.certificate, self.key)

    def issue(self, name, common_name, hosts=(), emails=(), begins=-1, ends=1):
        """Gives the certificate's file; the key's has the ending .key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [self._host(host) for host in hosts] + [x509.RFC822Name(email) for email in emails]
        certificate = self._sign(self._name(common_name), key.public_key(), names, x509.BasicConstraints(False, None),
                                 begins, ends)
        return self._write(name, certificate, key)

    @staticmethod
    def _name(common_name):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    @staticmethod
    def _host(host):
        try:
            return x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            return x509.DNSName(host)

    def _sign(self, subject, key, names, constraints, begins, ends):
        now = datetime.datetime.utcnow()
        made = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
                .serial_number(x509.random_serial_number()).not_valid_before(now + begins * DAY)
                .not_valid_after(now + ends * DAY).add_extension(constraints, critical=True))
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self.key, hashes.SHA256())

    def _write(self, name, certificate, key):
        file = self.folder / f"{name}.crt"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        secret = self.folder / f"{name}.key"
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                             serialization.NoEncryption()))
        secret.chmod(0o600)
        return file


def key_of(certificate):
    return certificate.with_suffix(".key")
