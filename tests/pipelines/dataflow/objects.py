"""Puts a file into a bucket, or shows what is in one, without any SDK.

    objects.py put FILE BUCKET NAME
    objects.py show BUCKET PREFIX     every line of every object whose name begins like this
"""

import json
import os
import sys
import urllib.parse
import urllib.request

URL = os.environ['DATAFLUME_URL']


def quoted(name):
  return urllib.parse.quote(name, safe='')


def put(path, bucket, name):
  with open(path, 'rb') as file:
    request = urllib.request.Request(
        f'{URL}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quoted(name)}',
        data=file.read(), headers={'Content-Type': 'application/octet-stream'})
  urllib.request.urlopen(request).close()


def show(bucket, prefix):
  root = f'{URL}/storage/v1/b/{bucket}/o'
  with urllib.request.urlopen(f'{root}?prefix={quoted(prefix)}') as answer:
    names = [item['name'] for item in json.load(answer).get('items', [])]
  for name in names:
    with urllib.request.urlopen(f'{root}/{quoted(name)}?alt=media') as content:
      sys.stdout.write(content.read().decode())


if __name__ == '__main__':
  {'put': put, 'show': show}[sys.argv[1]](*sys.argv[2:])
