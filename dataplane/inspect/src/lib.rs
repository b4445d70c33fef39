//! What decrypted bytes are: protocol identification on the plaintext of both directions.

#![forbid(unsafe_code)]
