package Mayfly::Load;

# Finds the user's code and tells what it is. docs/guides/writing-functions.md has the rules.

use strict;
use warnings;

my @FILES = qw(lambda_function handler main app index function);
my @NAMES = qw(handler lambda_handler handle main);

# What the environment of the instance says.
sub settings {
    my ($handler, $entry) = map { s/^\s+|\s+$//gr } map { $_ // '' } @ENV{qw(_HANDLER MAYFLY_ENTRY)};
    my $concurrency = ($ENV{MAYFLY_CONCURRENCY} // '') =~ /^(\d+)$/ ? $1 : 0;
    return {
        handler => $handler,
        entry => $entry,
        concurrency => $concurrency + 0,
        root => $ENV{LAMBDA_TASK_ROOT} || '.',
    };
}

# Loaded user code: { target, handler, settings, notes }.
sub load {
    my ($settings) = @_;
    my $root = $settings->{root};
    unshift @INC, grep { -d } $root, "$root/lib", "$root/local/lib/perl5", "$root/extlib/lib/perl5", '/opt/lib/perl5';
    return $settings->{handler} ne '' ? named($settings) : detect($settings);
}

sub ready {
    my ($app) = @_;
    my $concurrency = $app->{settings}{concurrency};
    return {
        model => 'event',
        handler => $app->{handler},
        runtime => sprintf('Perl %vd', $^V),
        concurrency => $concurrency > 1 ? 1 : $concurrency,
        notes => [($concurrency > 1 ? 'Perl serves one invocation at a time' : ()), @{ $app->{notes} }],
    };
}

sub failed {
    my ($type, $message, @trace) = @_;
    return Mayfly::InitError->throw(Mayfly::Errors::fault("Runtime.$type", $message, @trace));
}

# file.function, file.Package::function, or file.pl; slashes for folders.
sub named {
    my ($settings) = @_;
    my $handler = $settings->{handler} =~ s{^\./}{}r;
    if ($handler =~ /^(.+)\.(?:pl|pm)$/ && -f "$settings->{root}/$handler") {
        return from_file($settings, $1) // nothing_in($1);
    }
    if ($handler !~ m{^(.*[^./])\.((?:\w+::)*\w+)$}) {
        failed('MalformedHandlerName', "Bad handler '$settings->{handler}': expected file.function or file.pl");
    }
    my ($file, $function) = ($1, $2);
    my ($returned, @packages) = import_file($settings, $file);
    for my $name ($function =~ /::/ ? $function : map { "${_}::$function" } @packages) {
        no strict 'refs';
        return app($settings, \&{$name}, $handler) if defined &{$name};
    }
    return app($settings, $returned, $handler) if ref $returned eq 'CODE' && $function eq 'handler';
    return failed('HandlerNotFound', "Handler '$handler': there is no sub $function in $file.pl");
}

sub detect {
    my ($settings) = @_;
    my @files = candidates($settings);
    if (!@files) {
        failed('HandlerNotFound',
            'No Perl file found in the package: expected one of ' . join(', ', map { "$_.pl" } @FILES)
                . ', or a single .pl file; or name the handler, as in --handler file.function');
    }
    for my $file (@files) {
        my $found = from_file($settings, $file);
        return $found if $found;
    }
    return nothing_in(@files);
}

sub candidates {
    my ($settings) = @_;
    return ($1) if $settings->{entry} =~ /^(.+)\.(?:pl|pm)$/;
    opendir my $folder, $settings->{root} or return ();
    my @there = map { /^(.+)\.pl$/ ? $1 : () } readdir $folder;
    my %there = map { $_ => 1 } @there;
    my @found = grep { $there{$_} } @FILES;
    return @found || @there != 1 ? @found : @there;
}

sub nothing_in {
    my (@files) = @_;
    return failed('HandlerNotFound',
        'No handler found in ' . join(', ', map { "$_.pl" } @files)
            . ': define sub handler { my ($event, $context) = @_; ... }; or name the handler, as in --handler file.function');
}

# The sub that a file defines: by name, else its only one, else what the file returns.
sub from_file {
    my ($settings, $file) = @_;
    my %before = map { $_ => 1 } subs_of('main');
    my ($returned, @packages) = import_file($settings, $file);
    return app($settings, $returned, "$file.pl") if ref $returned eq 'CODE';
    for my $package (@packages) {
        my %there = map { $_ => 1 } grep { $package ne 'main' || !$before{$_} } subs_of($package);
        my @named = grep { $there{$_} } @NAMES;
        @named = keys %there if !@named && keys %there == 1;
        next if !@named;
        no strict 'refs';
        my $name = $package eq 'main' ? $named[0] : "${package}::$named[0]";
        return app($settings, \&{"${package}::$named[0]"}, "$file.$name");
    }
    return undef;    ## no critic (ProhibitExplicitReturnUndef)
}

sub subs_of {
    my ($package) = @_;
    no strict 'refs';
    return grep { !/::$/ && defined &{"${package}::$_"} } keys %{"${package}::"};
}

# What the file returned, and the packages it has code in.
sub import_file {
    my ($settings, $file) = @_;
    my ($path) = grep { -f } map { "$settings->{root}/$file.$_" } qw(pl pm);
    failed('ImportModuleError', "Unable to load file '$file': there is no $file.pl in the package") if !$path;
    my $source = do {
        open my $text, '<', $path or failed('ImportModuleError', "Unable to load file '$file': $!");
        local $/ = undef;
        <$text>;
    };
    my $returned = do {
        local $SIG{__DIE__} = \&Mayfly::Errors::note;
        local ($@, $!);
        my $value = run_file($path);
        could_not($file, $path, $@) if ref $@ || $@ ne '';
        $value;
    };
    return ($returned, 'main', $source =~ /^[ \t]*package[ \t]+([\w:]+)/mg);
}

sub could_not {
    my ($file, $path, $error) = @_;
    die $error if ref $error eq 'Mayfly::InitError';
    my $fault = Mayfly::Errors::describe($error);
    if ($error =~ /^Can't locate \S+ in \@INC/) {
        my ($first) = split /\n/, $fault->{errorMessage};
        $fault->{errorMessage} = "Unable to load file '$file': " . $first =~ s/ at \S+ line \d+\.$//r;
        $fault->{errorType} = 'Runtime.ImportModuleError';
    }
    elsif ($error =~ /syntax error at|compilation (?:errors|aborted)|had too many errors/) {
        my ($line) = $error =~ /\Q$path\E line (\d+)/;
        $fault = Mayfly::Errors::fault('Runtime.UserCodeSyntaxError',
            "Syntax error in file '$file.pl': $fault->{errorMessage}", "$path line " . ($line // '?'));
    }
    return Mayfly::InitError->throw($fault);
}

sub app {
    my ($settings, $target, $handler) = @_;
    return { settings => $settings, target => $target, handler => $handler, notes => [] };
}

# Here, because a file is compiled in the package of the statement that says `do`.
package main;    ## no critic (ProhibitMultiplePackages)

sub Mayfly::Load::run_file { return do $_[0] }

1;
