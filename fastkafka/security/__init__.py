"""Security: SASL mechanisms and TLS settings.

Nothing is here yet: any security.protocol other than plaintext is refused, never silently plain.
In:     the security properties
Out:    the conversations of a handshake, the settings of the room `tls`
Thread: control
Next:   control (handshake)
"""
