// Command probe is what the platform's own tests run in a pod, to see from
// inside that it gives what a real cluster gives.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

var commands = map[string]func(args []string) error{
	"sleep":       sleep,
	"copy":        copyFile,
	"allocate":    allocate,
	"version":     version,
	"unreachable": unreachable,
	"identity":    identity,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: probe sleep SECONDS | copy FROM TO | allocate MEBIBYTES | version | unreachable SECONDS | identity")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func number(args []string) (int, error) {
	if len(args) != 1 {
		return 0, fmt.Errorf("one number is needed, got %q", args)
	}
	return strconv.Atoi(args[0])
}

func sleep(args []string) error {
	seconds, err := number(args)
	if err == nil {
		fmt.Println("sleeping")
		time.Sleep(time.Duration(seconds) * time.Second)
	}
	return err
}

// copyFile copies a file and shows its content.
func copyFile(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("FROM and TO are needed, got %q", args)
	}
	content, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	fmt.Printf("%s", content)
	return os.WriteFile(args[1], content, 0o644)
}

// allocate takes and touches that much memory.
func allocate(args []string) error {
	mebibytes, err := number(args)
	if err != nil {
		return err
	}
	kept := make([][]byte, 0, mebibytes)
	for range mebibytes {
		block := make([]byte, 1<<20)
		for at := 0; at < len(block); at += 4096 {
			block[at] = 1
		}
		kept = append(kept, block)
	}
	fmt.Println("allocated", len(kept), "MiB")
	return nil
}

// version asks the API server, at its service address, with the pod's own account.
func version([]string) error {
	authority, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return err
	}
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client := http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
	}
	address := apiServer()
	request, err := http.NewRequest(http.MethodGet, "https://"+address+"/version", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Printf("%s %s\n", address, body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", response.Status)
	}
	return err
}

func apiServer() string {
	return net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
}

// unreachable waits until the API server cannot be reached any more, and
// checks that it stays so. A policy's rules follow a pod's start by a moment.
func unreachable(args []string) error {
	seconds, err := number(args)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(time.Duration(seconds) * time.Second)
	for reached() {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s still answers", apiServer())
		}
		time.Sleep(100 * time.Millisecond)
	}
	for range 5 {
		if reached() {
			return fmt.Errorf("%s answers again", apiServer())
		}
	}
	fmt.Println("unreachable")
	return nil
}

func reached() bool {
	connection, err := net.DialTimeout("tcp", apiServer(), 2*time.Second)
	if err != nil {
		return false
	}
	connection.Close()
	return true
}

func identity([]string) error {
	fmt.Println(os.Getuid(), os.Getgid())
	return nil
}
