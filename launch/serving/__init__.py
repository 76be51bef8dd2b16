"""A trained model behind HTTP and WebSocket, with a page that listens to the microphone."""
