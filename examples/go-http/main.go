// An HTTP server on 127.0.0.1:$PORT, standard library only.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func show(w http.ResponseWriter, r *http.Request) {
	length, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	log.Printf("%s %s", r.Method, r.URL)
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method,
		"path":   r.URL.Path,
		"query":  r.URL.Query(),
		"bytes":  length,
	})
}

// Sends a line every 200 ms.
func stream(w http.ResponseWriter, r *http.Request) {
	for i := 0; i < 5; i++ {
		io.WriteString(w, time.Now().UTC().Format(time.RFC3339Nano)+"\n")
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8000"
	}
	http.HandleFunc("/stream", stream)
	http.HandleFunc("/", show)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
