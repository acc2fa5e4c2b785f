//! Frames: a length as four bytes, little endian, and that many bytes.
//!
//! A frame of length zero is a sign of life and carries nothing; [`read`] passes it on as an empty
//! vector and the protocols skip it. The limit is checked on the length, before memory is taken.

use std::io;

use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length prefix announces more than the protocol allows: a fault of the peer.
    #[error("the peer announced a frame of {bytes} bytes where {bytes_max} are allowed")]
    TooLarge {
        /// What the length prefix says.
        bytes: usize,
        /// What the protocol allows.
        bytes_max: usize,
    },
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Truncated,
    /// The stream failed.
    #[error("the stream failed: {0}")]
    Io(#[from] io::Error),
}

impl FrameError {
    /// Whether the peer broke the protocol, rather than the connection having broken.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::TooLarge { .. })
    }
}

/// Reads a length prefix and checks it. `None` is the end of the stream between two frames.
///
/// # Errors
/// [`FrameError`]; after one, the stream is of no further use.
pub async fn read_length<R: AsyncRead + Unpin>(
    stream: &mut R,
    bytes_max: usize,
) -> Result<Option<usize>, FrameError> {
    let mut prefix = [0; 4];
    let mut filled = 0;
    while filled < prefix.len() {
        match stream.read(&mut prefix[filled..]).await? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(FrameError::Truncated),
            read => filled += read,
        }
    }
    // A length that does not fit the address space is above every limit too.
    let bytes = usize::try_from(u32::from_le_bytes(prefix)).unwrap_or(usize::MAX);
    if bytes > bytes_max {
        return Err(FrameError::TooLarge { bytes, bytes_max });
    }
    Ok(Some(bytes))
}

/// Reads the body of a frame whose length was read and checked.
///
/// # Errors
/// [`FrameError::Truncated`] and [`FrameError::Io`].
pub async fn read_body<R: AsyncRead + Unpin>(
    stream: &mut R,
    bytes: usize,
) -> Result<Vec<u8>, FrameError> {
    let mut body = vec![0; bytes];
    match stream.read_exact(&mut body).await {
        Ok(()) => Ok(body),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(FrameError::Truncated),
        Err(error) => Err(error.into()),
    }
}

/// Reads one frame. `None` is the end of the stream between two frames.
///
/// # Errors
/// [`FrameError`]; after one, the stream is of no further use.
pub async fn read<R: AsyncRead + Unpin>(
    stream: &mut R,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, FrameError> {
    match read_length(stream, bytes_max).await? {
        Some(bytes) => Ok(Some(read_body(stream, bytes).await?)),
        None => Ok(None),
    }
}

/// Writes one frame made of `parts`, one after the other; the caller flushes.
///
/// # Errors
/// `InvalidInput` when the parts exceed `bytes_max`, before anything is written; otherwise the
/// stream's error.
pub async fn write<W: AsyncWrite + Unpin>(
    stream: &mut W,
    parts: &[&[u8]],
    bytes_max: usize,
) -> io::Result<()> {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let prefix = u32::try_from(bytes)
        .ok()
        .filter(|_| bytes <= bytes_max)
        .ok_or_else(|| too_large(bytes, bytes_max))?;
    stream.write_all(&prefix.to_le_bytes()).await?;
    for part in parts {
        stream.write_all(part).await?;
    }
    Ok(())
}

fn too_large(bytes: usize, bytes_max: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{bytes} bytes do not fit a frame of at most {bytes_max}"),
    )
}
