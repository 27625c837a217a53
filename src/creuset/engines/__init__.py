"""What answers a prompt: one small interface (`base`), and its drivers. Everything later talks to a language
model through it."""
