// Package config is usher.yaml: the types of its keys, and the one way to read
// them from a file and the environment. What Load returns was checked: names
// that are used exist, files are there, and the values are those that the rest
// of the program takes as they are.
//
// It builds nothing from what it reads and keeps no secret: of a secret it
// knows where it is. It is read by package server and the command line only;
// no other package has a type of configuration.
package config
