// A function in Go with the standard library alone. It answers as aws-lambda-go does: in chunks, with both trailers
// announced, of the type application/octet-stream, also when the answer is a small JSON.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

const (
	kind   = "Lambda-Runtime-Function-Error-Type"
	detail = "Lambda-Runtime-Function-Error-Body"
)

var base = "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/"
var client = &http.Client{Timeout: 0}

type event struct {
	Say  string `json:"say"`
	Fail string `json:"fail"`
	Late string `json:"late"`
}

func post(path string, body io.Reader, header http.Header, trailer http.Header) {
	request, err := http.NewRequest(http.MethodPost, base+path, body)
	if err != nil {
		panic(err)
	}
	request.Header, request.Trailer = header, trailer
	answer, err := client.Do(request)
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != http.StatusAccepted {
		panic("answered " + answer.Status)
	}
}

// Fails after its first bytes, and says so in the trailers.
type broken struct {
	sent    bool
	trailer http.Header
}

func (b *broken) Read(into []byte) (int, error) {
	if b.sent {
		b.trailer.Set(kind, "Function.Late")
		b.trailer.Set(detail, base64.StdEncoding.EncodeToString([]byte(`{"errorType":"Late","errorMessage":"too late"}`)))
		return 0, io.EOF
	}
	b.sent = true
	return copy(into, "half"), nil
}

func main() {
	if os.Getenv("BROKEN") != "" {
		post("init/error", bytes.NewReader([]byte(`{"errorType":"NoStart","errorMessage":"not today"}`)),
			http.Header{kind: {"Function.NoStart"}}, nil)
		os.Exit(1)
	}
	for {
		next, err := client.Get(base + "invocation/next")
		if err != nil {
			panic(err)
		}
		payload, err := io.ReadAll(next.Body)
		next.Body.Close()
		if err != nil {
			panic(err)
		}
		id := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		deadline, _ := strconv.ParseInt(next.Header.Get("Lambda-Runtime-Deadline-Ms"), 10, 64)
		var asked event
		json.Unmarshal(payload, &asked)
		if asked.Fail != "" {
			told, _ := json.Marshal(map[string]string{"errorType": "Asked", "errorMessage": asked.Fail})
			post("invocation/"+id+"/error", bytes.NewReader(told), http.Header{kind: {"Function.Asked"}}, nil)
			continue
		}
		header := http.Header{"Content-Type": {"application/octet-stream"}}
		trailer := http.Header{kind: nil, detail: nil}
		if asked.Late != "" {
			header.Set("Lambda-Runtime-Function-Response-Mode", "streaming")
			post("invocation/"+id+"/response", &broken{trailer: trailer}, header, trailer)
			continue
		}
		told, _ := json.Marshal(map[string]any{
			"id": id, "say": asked.Say, "arn": next.Header.Get("Lambda-Runtime-Invoked-Function-Arn"),
			"left": deadline > time.Now().UnixMilli(), "handler": os.Getenv("_HANDLER"),
		})
		// A reader of unknown length goes out in chunks.
		post("invocation/"+id+"/response", struct{ io.Reader }{bytes.NewReader(told)}, header, trailer)
	}
}
