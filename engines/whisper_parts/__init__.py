"""What the speech-to-text engine on faster-whisper is made of."""
