"""Says what this process looks up and connects to outside of this machine."""

import sys

LOCAL = ('localhost', '127.0.0.1', '::1', None, '')


def watch(event, arguments):
  if event == 'socket.getaddrinfo':
    host = arguments[0]
  elif event == 'socket.connect' and isinstance(arguments[1], tuple):
    host = arguments[1][0]
  else:
    return
  if isinstance(host, bytes):
    host = host.decode()
  if host not in LOCAL:
    sys.stderr.write(f'beyond this machine: {event} {host}\n')


sys.addaudithook(watch)
