package main

import (
	"context"
	"sync"
	"time"

	jobpb "github.com/apache/beam/sdks/v2/go/pkg/beam/model/jobmanagement_v1"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/util/grpcx"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// clock notes when the job service has answered the request to run a job, and when it told that a job is done. With many jobs it
// notes the first answer and the last end.
type clock struct {
	mu           sync.Mutex
	running, end time.Time
}

// watch has every connection that the SDK opens from now on pass by the clock.
func (c *clock) watch() {
	grpcx.Dial = func(ctx context.Context, endpoint string, timeout time.Duration) (*grpc.ClientConn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return grpc.DialContext(ctx, endpoint,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithBlock(),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<31-1)),
			grpc.WithUnaryInterceptor(c.unary),
			grpc.WithStreamInterceptor(c.stream))
	}
}

// seconds from the one to the other, if both were seen.
func (c *clock) seconds() (float64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := !c.running.IsZero() && !c.end.IsZero()
	return c.end.Sub(c.running).Seconds(), seen
}

func (c *clock) unary(ctx context.Context, method string, request, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	err := invoke(ctx, method, request, reply, cc, options...)
	if _, run := reply.(*jobpb.RunJobResponse); run && err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.running.IsZero() {
			c.running = time.Now()
		}
	}
	return err
}

func (c *clock) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, cc, method, options...)
	if err != nil {
		return nil, err
	}
	return &watched{stream, c}, nil
}

type watched struct {
	grpc.ClientStream
	clock *clock
}

func (w *watched) RecvMsg(message any) error {
	err := w.ClientStream.RecvMsg(message)
	update, ok := message.(*jobpb.JobMessagesResponse)
	if ok && err == nil && update.GetStateResponse().GetState() == jobpb.JobState_DONE {
		w.clock.mu.Lock()
		defer w.clock.mu.Unlock()
		w.clock.end = time.Now()
	}
	return err
}
