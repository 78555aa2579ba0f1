package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// session sends requests and prints them as the curl commands that send the same.
type session struct {
	out    io.Writer
	client http.Client
	vars   map[string]string // of the shell that it stands for: "US" is a URL
	err    error             // the first thing that was not as it has to be
}

// call is a request; url, header values and body may name variables as "$US".
type call struct {
	method, url string
	headers     []string // "X-Actor: ben"
	body        string   // shown as it is
	want        int      // the status
}

// shownHeaders are those of an answer that matter here.
var shownHeaders = []string{"ETag", receiptHeader}

// say prints lines that tell what happens besides the commands.
func (s *session) say(format string, args ...any) {
	for text := range strings.Lines(fmt.Sprintf(format, args...)) {
		s.print("# " + text)
	}
	s.print("\n\n")
}

func (s *session) print(text string) {
	if _, err := io.WriteString(s.out, text); err != nil && s.err == nil {
		s.err = err
	}
}

// set gives a variable a value, as a shell does.
func (s *session) set(name, value string) {
	s.vars[name] = value
	s.print(fmt.Sprintf("$ %s=%s\n", name, value))
}

func (s *session) expand(text string) string {
	for name, value := range s.vars {
		text = strings.ReplaceAll(text, "$"+name, value)
	}
	return text
}

// curl sends a request, prints command and answer, and returns the answer's headers.
func (s *session) curl(ctx context.Context, c call) http.Header {
	if s.err != nil {
		return http.Header{}
	}
	command := "$ curl -i"
	if c.method != http.MethodGet {
		command += " -X " + c.method
	}
	command += ` "` + c.url + `"`
	for _, h := range c.headers {
		command += " \\\n    -H " + quote(h)
	}
	if c.body != "" {
		command += " \\\n    -d " + quote(c.body)
	}
	s.print(command + "\n")
	answer, body := s.send(ctx, c)
	if s.err != nil {
		return http.Header{}
	}
	s.print(answer.Proto + " " + answer.Status + "\n")
	for _, name := range shownHeaders {
		if value := answer.Header.Get(name); value != "" {
			if len(value) > 64 {
				value = value[:24] + "..." + value[len(value)-8:]
			}
			s.print(name + ": " + value + "\n")
		}
	}
	s.print(string(body) + "\n")
	return answer.Header
}

// capture sends a GET for one header of its answer, which a variable keeps.
func (s *session) capture(ctx context.Context, name, header, url string) {
	if s.err != nil {
		return
	}
	s.print(fmt.Sprintf("$ %s=$(curl -s -o /dev/null -w '%%header{%s}' \"%s\")\n\n", name, strings.ToLower(header), url))
	if answer, _ := s.send(ctx, call{method: http.MethodGet, url: url, want: http.StatusOK}); s.err == nil {
		s.vars[name] = answer.Header.Get(header)
	}
}

func (s *session) send(ctx context.Context, c call) (*http.Response, []byte) {
	answer, body, err := s.exchange(ctx, c)
	if err == nil && answer.StatusCode != c.want {
		err = fmt.Errorf("%s %s: status %d, want %d: %s", c.method, c.url, answer.StatusCode, c.want, body)
	}
	if s.err == nil {
		s.err = err
	}
	return answer, body
}

func (s *session) exchange(ctx context.Context, c call) (*http.Response, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, c.method, s.expand(c.url), strings.NewReader(c.body))
	if err != nil {
		return nil, nil, err
	}
	for _, h := range c.headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, s.expand(value))
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(answer.Body)
	return answer, body.Bytes(), err
}

// quote puts an argument into quotes: the shell looks for variables in double ones only.
func quote(arg string) string {
	if strings.Contains(arg, "$") {
		return `"` + arg + `"`
	}
	return "'" + arg + "'"
}
