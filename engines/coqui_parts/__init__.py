"""Parts of the speech engine on coqui-tts: options, sentences, models, encoding."""
