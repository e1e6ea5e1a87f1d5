// What test/clients/real-clients.test.mjs has Go's net/http do: session WHAT URL AGENT. Prints a list of what came.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

var what, url, agent = os.Args[1], os.Args[2], os.Args[3]

func newSession() *http.Client {
	return &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
}

func attempt(session *http.Client, method, path, body string) string {
	request, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	if agent != "" {
		request.Header.Set("User-Agent", agent)
	}
	answer, err := session.Do(request)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func say(results []string) {
	text, _ := json.Marshal(results)
	fmt.Println(string(text))
}

func main() {
	switch what {
	case "post":
		session := newSession()
		var results []string
		for n := 0; n < 11; n++ {
			results = append(results, attempt(session, "POST", "/post", strconv.Itoa(n)))
			time.Sleep(time.Duration(200+10*n) * time.Millisecond)
		}
		say(results)
	case "parallel":
		session := newSession()
		results := make([]string, 6)
		var all sync.WaitGroup
		for n := range results {
			all.Add(1)
			go func(n int) {
				defer all.Done()
				results[n] = attempt(session, "GET", "/n/"+strconv.Itoa(n), "")
			}(n)
		}
		all.Wait()
		say(results)
	case "pools":
		sessions := make([]*http.Client, 5)
		results := make([]string, 5)
		for n := range sessions {
			sessions[n] = newSession()
			results[n] = attempt(sessions[n], "GET", "/", "")
		}
		say(results)
		time.Sleep(time.Minute) // it is ended before
	}
}
