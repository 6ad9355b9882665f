package Mayfly::Errors;

# What went wrong in the user's code, in AWS Lambda's form.

use strict;
use warnings;

use overload ();

my ($here) = __FILE__ =~ m{^(.*)/Mayfly/};
my @last;    # text of the last die, and its stack

sub fault {
    my ($type, $message, @trace) = @_;
    return { errorType => $type, errorMessage => $message, stackTrace => \@trace };
}

# The handler for die: notes the stack, which $@ does not hold.
sub note {
    my ($error) = @_;
    my ($level, @frames) = (0);
    while (my ($file, $line) = (caller $level)[1, 2]) {
        my $function = (caller $level + 1)[3] // '{main}';
        $level++;
        next if is_ours($file) || $file =~ /^\(eval/ && $function =~ /^Mayfly::/;
        next if $function eq '(eval)';
        $function = '{main}' if $function =~ /^Mayfly::/;
        push @frames, "$file line $line in $function";
        last if @frames == 64;
    }
    @last = (key($error), @frames);
    return;
}

sub key {
    my ($error) = @_;
    return ref $error ? overload::StrVal($error) : "$error";
}

sub is_ours {
    my ($file) = @_;
    return index($file, "$here/Mayfly/") == 0 || $file eq "$here/main.pl";
}

# The error JSON of what was in $@.
sub describe {
    my ($error) = @_;
    my ($type, $message) = ('Error', '');
    if (ref $error) {
        $type = ref $error if ref($error) !~ /^[A-Z]+\z/;
        $message = eval { $type ne 'Error' ? "$error" : characters(Mayfly::Json::encode($error)) } // 'the error cannot be printed';
    }
    else {
        $message = "$error";
        $message =~ s/ at \S+ line \d+\.?\n\z//;
        chomp $message;
    }
    my @trace;
    if (@last && $last[0] eq key($error)) {
        @trace = @last[1 .. $#last];
    }
    elsif (!ref $error && $error =~ / at (\S+) line (\d+)/) {
        @trace = ("$1 line $2") if !is_ours($1);
    }
    @last = ();
    return fault($type, $message, @trace);
}

sub characters {
    my ($bytes) = @_;
    utf8::decode($bytes);
    return $bytes;
}

# What the log shows.
sub log_text {
    my ($fault) = @_;
    my $text = "[ERROR] $fault->{errorType}: $fault->{errorMessage}\n";
    $text .= "  at $_\n" for @{ $fault->{stackTrace} };
    return $text;
}

sub cancelled {
    return fault('Runtime.Cancelled', 'The invocation was cancelled: the caller is gone or it is late.');
}

package Mayfly::InitError;    # initialisation failed; fault is the JSON form

sub throw {
    my ($class, $fault) = @_;
    die bless { fault => $fault }, $class;
}

package Mayfly::Cancelled;    # the caller is gone; what a stream's write dies with

sub throw {
    my ($class) = @_;
    die bless {}, $class;
}

1;
