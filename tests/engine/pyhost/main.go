// A language host for Python that Pulumi's engine finds as pulumi-language-python, for the tests of this folder.
//
// Pulumi's own is published in no Go module. This one runs programs, policy packs and component providers in the
// virtual environment that their project file names, by the toolchain code and the pulumi-language-python-exec of
// Pulumi's SDK; the latter lies beside the executable. Not served: other toolchains than pip, installing dependencies
// into a virtual environment that is not there yet, conversion and generation of code, debuggers.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// The exit code of a program whose error the user has been shown already.
const shown = 32

// A writer to the engine. A stream takes one message at a time, and a process writes to two.
type printed func([]byte) error

func (send printed) Write(text []byte) (int, error) {
	return len(text), send(text)
}

type host struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
	engine string
}

func main() {
	served := &host{}
	if len(os.Args) > 1 {
		served.engine = os.Args[len(os.Args)-1]
	}
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Init: func(server *grpc.Server) error {
			pulumirpc.RegisterLanguageRuntimeServer(server, served)
			return nil
		},
	})
	if err == nil {
		fmt.Println(handle.Port)
		err = <-handle.Done
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (served *host) Handshake(
	_ context.Context, request *pulumirpc.LanguageHandshakeRequest,
) (*pulumirpc.LanguageHandshakeResponse, error) {
	served.engine = request.EngineAddress
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

func (*host) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: "0.0.0"}, nil
}

func (*host) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// A python of the environment that a program's project file names, not started yet.
func python(ctx context.Context, info *pulumirpc.ProgramInfo, arguments ...string) (*exec.Cmd, string, error) {
	named := info.GetOptions().GetFields()["virtualenv"].GetStringValue()
	if named == "" {
		named = ".venv"
	}
	tool, err := toolchain.ResolveToolchain(toolchain.PythonOptions{
		Root: info.RootDirectory, ProgramDir: info.ProgramDirectory, Virtualenv: named, Toolchain: toolchain.Pip,
	})
	if err != nil {
		return nil, "", err
	}
	if err := tool.ValidateVenv(ctx); err != nil {
		return nil, "", err
	}
	environment, err := tool.VirtualEnvPath(ctx)
	if err != nil {
		return nil, "", err
	}
	command, err := tool.Command(ctx, arguments...)
	return command, environment, err
}

// The plug-ins that installed SDKs say they need.
func (*host) GetRequiredPackages(
	ctx context.Context, request *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	_, environment, err := python(ctx, request.Info)
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(environment, "lib", "python*", "site-packages", "*", "pulumi-plugin.json"))
	if err != nil {
		return nil, err
	}
	packages := []*pulumirpc.PackageDependency{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var described struct {
			Resource              bool
			Name, Version, Server string
		}
		if err := json.Unmarshal(text, &described); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if described.Resource {
			packages = append(packages, &pulumirpc.PackageDependency{
				Kind: "resource", Name: described.Name, Version: "v" + described.Version, Server: described.Server,
			})
		}
	}
	return &pulumirpc.GetRequiredPackagesResponse{Packages: packages}, nil
}

// Installs nothing: an environment that is there is taken to have been made of its lock.
func (*host) InstallDependencies(
	request *pulumirpc.InstallDependenciesRequest, stream pulumirpc.LanguageRuntime_InstallDependenciesServer,
) error {
	_, _, err := python(stream.Context(), request.Info)
	return err
}

func (served *host) Run(ctx context.Context, request *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// An empty map or list is nil here, and null to the program.
	values := request.Config
	if values == nil {
		values = map[string]string{}
	}
	config, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	secret, err := json.Marshal(append([]string{}, request.ConfigSecretKeys...))
	if err != nil {
		return nil, err
	}
	arguments := []string{filepath.Join(filepath.Dir(executable), "pulumi-language-python-exec")}
	for name, value := range map[string]string{
		"monitor": request.MonitorAddress, "engine": served.engine, "project": request.Project, "stack": request.Stack,
		"organization": request.Organization, "root_directory": request.Info.RootDirectory, "pwd": request.Pwd,
		"dry_run": strconv.FormatBool(request.DryRun), "parallel": strconv.Itoa(int(request.Parallel)),
	} {
		if value != "" {
			arguments = append(arguments, "--"+name, value)
		}
	}
	program := request.Info.ProgramDirectory
	if request.Info.EntryPoint != "" {
		program = filepath.Join(program, request.Info.EntryPoint)
	}
	command, _, err := python(ctx, request.Info, append(append(arguments, program), request.Args...)...)
	if err != nil {
		return nil, err
	}
	command.Env = append(
		command.Env, "PULUMI_CONFIG="+string(config), "PULUMI_CONFIG_SECRET_KEYS="+string(secret), "PYTHONUNBUFFERED=1",
	)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	var ended *exec.ExitError
	switch err := command.Run(); {
	case err == nil:
		return &pulumirpc.RunResponse{}, nil
	case errors.As(err, &ended) && ended.ExitCode() == shown:
		return &pulumirpc.RunResponse{Bail: true}, nil
	default:
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("the program ended with %v", err)}, nil
	}
}

// A policy pack or a provider, until the engine ends the call; what it prints goes to the engine.
func (*host) RunPlugin(
	request *pulumirpc.RunPluginRequest, stream pulumirpc.LanguageRuntime_RunPluginServer,
) error {
	directory := request.Info.ProgramDirectory
	arguments := append([]string{"-u", directory}, request.Args...)
	if request.Kind == "analyzer" {
		arguments = append(append([]string{"-u", "-m", "pulumi.policy"}, request.Args...), directory)
	}
	command, _, err := python(stream.Context(), request.Info, arguments...)
	if err != nil {
		return err
	}
	command.Dir = request.Pwd
	command.Env = append(command.Env, request.Env...)
	var sending sync.Mutex
	command.Stdout = printed(func(text []byte) error {
		sending.Lock()
		defer sending.Unlock()
		return stream.Send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stdout{Stdout: text}})
	})
	command.Stderr = printed(func(text []byte) error {
		sending.Lock()
		defer sending.Unlock()
		return stream.Send(&pulumirpc.RunPluginResponse{Output: &pulumirpc.RunPluginResponse_Stderr{Stderr: text}})
	})
	err = command.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return err
	}
	return stream.Send(&pulumirpc.RunPluginResponse{
		Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: int32(command.ProcessState.ExitCode())},
	})
}
