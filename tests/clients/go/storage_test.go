// Package clients runs Google's own client library against a running emulator, which
// STORAGE_EMULATOR_HOST names.
package clients

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
)

const mib = 1 << 20

type world struct {
	*testing.T
	ctx    context.Context
	client *storage.Client
	bucket *storage.BucketHandle
}

func start(t *testing.T) world {
	ctx := t.Context()
	client, err := storage.NewClient(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	bucket := client.Bucket(fmt.Sprintf("go-%d", time.Now().UnixNano()))
	w := world{t, ctx, client, bucket}
	w.must(bucket.Create(ctx, "clients", &storage.BucketAttrs{Location: "us-east1"}))
	return w
}

func (w world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w world) write(name string, content []byte, change ...func(*storage.Writer)) *storage.ObjectAttrs {
	w.Helper()
	writer := w.bucket.Object(name).NewWriter(w.ctx)
	for _, apply := range change {
		apply(writer)
	}
	_, err := writer.Write(content)
	w.must(err)
	w.must(writer.Close())
	return writer.Attrs()
}

func (w world) read(object *storage.ObjectHandle) string {
	w.Helper()
	reader, err := object.NewReader(w.ctx)
	w.must(err)
	defer reader.Close()
	content, err := io.ReadAll(reader)
	w.must(err)
	return string(content)
}

func (w world) wantStatus(err error, status int) {
	w.Helper()
	var failure *googleapi.Error
	if !errors.As(err, &failure) || failure.Code != status {
		w.Fatalf("want status %d, got %v", status, err)
	}
}

func (w world) names(query *storage.Query) (names, prefixes []string) {
	w.Helper()
	objects := w.bucket.Objects(w.ctx, query)
	objects.PageInfo().MaxSize = 2
	for {
		attrs, err := objects.Next()
		if err == iterator.Done {
			return
		}
		w.must(err)
		if attrs.Prefix != "" {
			prefixes = append(prefixes, attrs.Prefix)
		} else {
			names = append(names, attrs.Name)
		}
	}
}

func TestBucket(t *testing.T) {
	w := start(t)
	attrs, err := w.bucket.Attrs(w.ctx)
	w.must(err)
	if attrs.Location != "US-EAST1" || attrs.LocationType != "region" {
		t.Fatalf("%+v", attrs)
	}
	update := storage.BucketAttrsToUpdate{}
	update.SetLabel("k", "v")
	attrs, err = w.bucket.Update(w.ctx, update)
	w.must(err)
	if attrs.Labels["k"] != "v" {
		t.Fatalf("%+v", attrs)
	}
	w.wantStatus(w.bucket.Create(w.ctx, "clients", nil), http.StatusConflict)
	w.write("o", nil)
	w.wantStatus(w.bucket.Delete(w.ctx), http.StatusConflict)
	w.must(w.bucket.Object("o").Delete(w.ctx))
	w.must(w.bucket.Delete(w.ctx))
	if _, err := w.bucket.Attrs(w.ctx); !errors.Is(err, storage.ErrBucketNotExist) {
		t.Fatal(err)
	}
}

func TestUploads(t *testing.T) {
	w := start(t)
	content := make([]byte, 5*mib/2)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	for name, chunk := range map[string]int{"chunks": mib, "one": 16 * mib, "unbuffered": 0} {
		attrs := w.write(name, content, func(writer *storage.Writer) {
			writer.ChunkSize = chunk
			writer.ContentType = "text/x-go"
			writer.Metadata = map[string]string{"k": "v"}
		})
		if attrs.Size != int64(len(content)) || attrs.ContentType != "text/x-go" || attrs.Metadata["k"] != "v" {
			t.Fatalf("%s: %+v", name, attrs)
		}
		if got := w.read(w.bucket.Object(name)); got != string(content) {
			t.Fatalf("%s: other content", name)
		}
	}
	// The checksum is wrong: the object never exists.
	writer := w.bucket.Object("bad").NewWriter(w.ctx)
	writer.CRC32C, writer.SendCRC32C = 1, true
	_, err := writer.Write([]byte("x"))
	w.must(err)
	w.wantStatus(writer.Close(), http.StatusBadRequest)
	if _, err := w.bucket.Object("bad").Attrs(w.ctx); !errors.Is(err, storage.ErrObjectNotExist) {
		t.Fatal(err)
	}
}

func TestReads(t *testing.T) {
	for _, viaJSON := range []bool{false, true} {
		w := start(t)
		if viaJSON {
			client, err := storage.NewClient(w.ctx, storage.WithJSONReads())
			w.must(err)
			w.client = client
			w.bucket = client.Bucket(w.bucket.BucketName())
		}
		attrs := w.write("dir/ö?%", []byte("0123456789"))
		object := w.bucket.Object("dir/ö?%")
		for _, part := range []struct {
			offset, length int64
			want           string
		}{{0, -1, "0123456789"}, {2, 3, "234"}, {-3, -1, "789"}, {8, 100, "89"}} {
			reader, err := object.NewRangeReader(w.ctx, part.offset, part.length)
			w.must(err)
			got, err := io.ReadAll(reader)
			w.must(err)
			if string(got) != part.want || reader.Attrs.Generation != attrs.Generation {
				t.Fatalf("%+v: %q, %+v", part, got, reader.Attrs)
			}
		}
		if _, err := w.bucket.Object("none").NewReader(w.ctx); !errors.Is(err, storage.ErrObjectNotExist) {
			t.Fatal(err)
		}
		_, err := object.If(storage.Conditions{GenerationMatch: 1}).NewReader(w.ctx)
		w.wantStatus(err, http.StatusPreconditionFailed)
		_, err = object.Generation(1).NewReader(w.ctx)
		if !errors.Is(err, storage.ErrObjectNotExist) {
			t.Fatal(err)
		}
	}
}

func TestConditions(t *testing.T) {
	w := start(t)
	first := w.write("o", []byte("one"))
	writer := w.bucket.Object("o").If(storage.Conditions{DoesNotExist: true}).NewWriter(w.ctx)
	_, err := writer.Write([]byte("two"))
	w.must(err)
	w.wantStatus(writer.Close(), http.StatusPreconditionFailed)
	update := storage.ObjectAttrsToUpdate{Metadata: map[string]string{"a": "b"}, CacheControl: "no-store"}
	attrs, err := w.bucket.Object("o").If(storage.Conditions{MetagenerationMatch: 1}).Update(w.ctx, update)
	w.must(err)
	if attrs.Metageneration != 2 || attrs.Metadata["a"] != "b" || attrs.Generation != first.Generation {
		t.Fatalf("%+v", attrs)
	}
	_, err = w.bucket.Object("o").If(storage.Conditions{MetagenerationMatch: 1}).Update(w.ctx, update)
	w.wantStatus(err, http.StatusPreconditionFailed)
	err = w.bucket.Object("o").If(storage.Conditions{GenerationMatch: first.Generation + 1}).Delete(w.ctx)
	w.wantStatus(err, http.StatusPreconditionFailed)
}

func TestListing(t *testing.T) {
	w := start(t)
	for _, name := range []string{"a", "d/1", "d/2", "e/1", "z"} {
		w.write(name, nil)
	}
	names, prefixes := w.names(&storage.Query{Delimiter: "/"})
	if fmt.Sprint(names, prefixes) != "[a z] [d/ e/]" {
		t.Fatal(names, prefixes)
	}
	query := &storage.Query{Prefix: "d/"}
	w.must(query.SetAttrSelection([]string{"Name"}))
	names, _ = w.names(query)
	if fmt.Sprint(names) != "[d/1 d/2]" {
		t.Fatal(names)
	}
	names, _ = w.names(&storage.Query{MatchGlob: "**1"})
	if fmt.Sprint(names) != "[d/1 e/1]" {
		t.Fatal(names)
	}
}

func TestCopyAndCompose(t *testing.T) {
	w := start(t)
	w.write("a", []byte("one "), func(writer *storage.Writer) { writer.ContentType = "text/x-a" })
	w.write("b", []byte("two"))
	a, b := w.bucket.Object("a"), w.bucket.Object("b")
	copied, err := w.bucket.Object("copy").CopierFrom(a).Run(w.ctx)
	w.must(err)
	if copied.ContentType != "text/x-a" {
		t.Fatalf("%+v", copied)
	}
	composer := w.bucket.Object("c").ComposerFrom(a, b)
	composer.ContentType = "text/x-c"
	composed, err := composer.Run(w.ctx)
	w.must(err)
	if composed.ComponentCount != 2 || len(composed.MD5) != 0 || w.read(w.bucket.Object("c")) != "one two" {
		t.Fatalf("%+v", composed)
	}
	moved, err := b.Move(w.ctx, storage.MoveObjectDestination{Object: "d"})
	w.must(err)
	if moved.Name != "d" || w.read(w.bucket.Object("d")) != "two" {
		t.Fatalf("%+v", moved)
	}
	// In steps, each of which is a request of its own.
	big := bytes.Repeat([]byte("0123456789abcdef"), 160<<10)
	w.write("big", big)
	copier := w.bucket.Object("big copy").CopierFrom(w.bucket.Object("big"))
	var steps []uint64
	copier.ProgressFunc = func(written, _ uint64) { steps = append(steps, written) }
	_, err = copier.Run(w.ctx)
	w.must(err)
	if w.read(w.bucket.Object("big copy")) != string(big) || steps[len(steps)-1] != uint64(len(big)) {
		t.Fatal(steps)
	}
}

func TestVersions(t *testing.T) {
	w := start(t)
	_, err := w.bucket.Update(w.ctx, storage.BucketAttrsToUpdate{VersioningEnabled: true})
	w.must(err)
	first := w.write("o", []byte("one"))
	w.write("o", []byte("two"))
	if got := w.read(w.bucket.Object("o").Generation(first.Generation)); got != "one" {
		t.Fatal(got)
	}
	names, _ := w.names(&storage.Query{Versions: true})
	if fmt.Sprint(names) != "[o o]" {
		t.Fatal(names)
	}
}
