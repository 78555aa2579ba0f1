// Service is a small HTTP service of user profiles in several regions, as you would write
// it: copy what you need.
//
//	go run ./examples/service -demo
//
// starts two regions in this process, us-east-1 and eu-west-1, on ports of the loopback
// interface, plays a session between them, cut link included, and prints it as the curl
// commands that a person would type. It ends by itself after a moment.
//
//	go run ./examples/service -region eu-west-1 -dir data -listen 127.0.0.1:8080
//
// serves one region until it is interrupted; its log is in the directory. In this release
// regions are linked inside one process only, by replog.Connect, so that this region is alone.
//
// # What it answers
//
//	GET    /profiles/KEY             the profile as JSON, with an ETag
//	PUT    /profiles/KEY             the whole profile: If-Match: ETAG replaces what that reader was
//	                                 shown, If-None-Match: * creates
//	PATCH  /profiles/KEY             a JSON merge patch: {"phone":"222","address":{"city":"Pune"},"nick":null}
//	DELETE /profiles/KEY             PATCH and DELETE take If-Match, too, and do not need it
//	GET    /profiles?prefix=         the profiles, one a line
//	GET    /profiles/KEY/conflicts   the fields with several current values: which, of what version, by whom
//	GET    /profiles/KEY/explain     how the profile came to look as it does; JSON under Accept: application/json
//	POST   /profiles/KEY/resolve     settle a field: {"field":"phone","keep":"shown"},
//	                                 "keep":"version","version":"..." or "keep":"value","value":...
//	GET    /conflicts?after=N        the conflict reports of this region behind a position, one a line
//	GET    /livez, /readyz           /readyz?verbose tells how far each peer region is behind
//
// X-Actor says who asks; it is kept with the write, and shown in every region. A write answers
// with X-Receipt; a later request that carries it, to any region, waits until that region
// has the write. Errors are JSON: error, message, and for a 412 the fields that changed.
//
// # Where to look
//
// profile.go has the record and what becomes of it when regions disagree; the rest is HTTP:
// service.go the routes, read.go, write.go, patch.go and conflicts.go what is behind them,
// errors.go which error is which status, health.go, and region.go the start
// and the end of a region. demo.go plays the session, curl.go prints it.
//
// There is no authentication here: put the service behind something that has it, and
// let that set X-Actor.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/fieldwise/fieldwise"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// The exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

const usage = `usage: service -demo
       service -region NAME -dir DIR [-listen ADDRESS]

An HTTP service of user profiles, one process a region.

  -demo            play a session between two regions in this process, and print it
  -region NAME     serve this region until interrupted, such as eu-west-1
  -dir DIR         the directory of its log; created if needed
  -listen ADDRESS  where to listen (127.0.0.1:8080); port 0 picks a free one

In this release regions are linked inside one process only: a region that is served
by itself exchanges nothing with others. -demo shows what linked ones do.
`

// options are the command line.
type options struct {
	demo                bool
	region, dir, listen string
}

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the error
	flags.BoolVar(&o.demo, "demo", false, "")
	flags.StringVar(&o.region, "region", "", "")
	flags.StringVar(&o.dir, "dir", "", "")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8080", "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return o, err
	case err != nil:
		return o, &usageError{err.Error()}
	case flags.NArg() > 0:
		return o, &usageError{fmt.Sprintf("unexpected argument %q; there are only flags", flags.Arg(0))}
	case o.demo && flags.NFlag() > 1:
		return o, &usageError{"-demo takes no other flag"}
	case o.demo:
		return o, nil
	case o.region == "" || o.dir == "":
		return o, &usageError{"say -demo, or -region and -dir"}
	}
	if err := fieldwise.Region(o.region).Validate(); err != nil {
		return o, &usageError{"-region: " + err.Error()}
	}
	return o, nil
}

// run is main without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	o, err := parse(args)
	switch {
	case err != nil:
	case o.demo:
		err = demo(ctx, stdout)
	default:
		err = serve(ctx, o, stdout, hclog.New(&hclog.LoggerOptions{Name: "service", Output: stderr, Level: hclog.Info}))
	}
	var wrong *usageError
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, flag.ErrHelp):
		say(stdout, "%s", usage)
		return statusOK
	case errors.As(err, &wrong):
		say(stderr, "service: %v\n\n%s", err, usage)
		return statusUsage
	}
	say(stderr, "service: %v\n", err)
	return statusFailed
}

// say prints; where nobody reads there is nobody to tell.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// serve serves one region until ctx ends.
func serve(ctx context.Context, o options, stdout io.Writer, log hclog.Logger) error {
	r, err := startRegion(ctx, settings{name: fieldwise.Region(o.region), dir: o.dir, listen: o.listen, log: log})
	if err != nil {
		return err
	}
	say(stdout, "%s is at %s\n", o.region, r.url())
	var failed error
	select {
	case <-ctx.Done():
		log.Info("stopping", "region", o.region)
	case failed = <-r.served:
	}
	drain, cancel := context.WithTimeout(context.Background(), drainWithin)
	defer cancel()
	return errors.Join(failed, stop(drain, nil, r))
}
