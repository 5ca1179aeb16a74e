package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// Load reads the configuration from the file called path, with what environ (as
// os.Environ returns it) says over it. Without a path the environment is all.
// Relative names of files are relative to the file's directory, or without one
// to the working directory.
//
// Its error is a Problems if the configuration is at fault. It holds no secret.
func Load(path string, environ []string) (*Config, error) {
	in := &source{name: "environment", variable: true}
	content := ""
	if path != "" {
		in = &source{name: path}
		var err error
		if content, err = readConfiguration(path); err != nil {
			return nil, err
		}
	}
	root, wrong := parseYAML(in, content)
	r := new(report)
	if wrong != nil {
		r.add(wrong.at, nil, "%s", wrong.message)
		return nil, r.err()
	}
	c := new(Config)
	unknown := overlay(root, environ, r)
	d := decoder{dir: filepath.Dir(path), reports: r}
	d.decode(root, reflect.ValueOf(c).Elem(), nil)
	refuse(unknown, c, root, r)
	k := checker{config: c, root: root, reports: r, environ: environ}
	k.check()
	if err := r.err(); err != nil {
		return nil, err
	}
	return c, nil
}

func readConfiguration(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return "", fmt.Errorf("read configuration: %w", err)
	}
	if len(text) > maxText {
		return "", fmt.Errorf("read configuration %s: longer than %d KiB", path, maxText>>10)
	}
	if strings.ContainsRune(string(text), 0) {
		return "", errors.New("read configuration " + path + ": not a text")
	}
	// A byte order mark is what some editors leave.
	return strings.TrimPrefix(string(text), "\ufeff"), nil
}
