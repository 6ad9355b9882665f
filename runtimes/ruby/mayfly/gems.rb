# frozen_string_literal: true

module Mayfly
  # RubyGems costs most of Ruby's start: it is loaded when somebody needs it, and not before. That is
  # when a require finds nothing without it, or when its name is used.
  module Gems
    def self.prepare(root)
      $LOAD_PATH.unshift(root, *vendored(root))
      return if defined?(::Gem::Specification)

      Object.autoload(:Gem, 'rubygems') unless Object.const_defined?(:Gem, false)
      Object.autoload(:Bundler, 'bundler')
      Kernel.prepend(OnDemand)
      Object.prepend(OnDemand)
    end

    # The folders `bundle install --path` and `gem install --install-dir` make, as they are used on AWS.
    def self.vendored(root)
      version = "#{RUBY_VERSION[/\A\d+\.\d+/]}.0"
      homes = ["#{root}/vendor/bundle/ruby/#{version}", "#{root}/vendor/ruby/#{version}", "/opt/ruby/gems/#{version}"]
      homes.select! { |home| File.directory?("#{home}/gems") }
      ENV['GEM_PATH'] = [*homes, ENV['GEM_PATH']].compact.join(':') unless homes.empty?
      libraries = homes.flat_map { |home| Dir.glob("#{home}/gems/*/lib").sort.reverse }
      File.directory?("/opt/ruby/lib") ? ["/opt/ruby/lib", *libraries] : libraries
    end

    def self.load
      return false if defined?(::Gem::Specification)

      require 'rubygems'
      true
    end

    module OnDemand
      private

      def require(name)
        super
      rescue LoadError => e
        raise unless e.path == name && Gems.load

        super
      end

      def gem(*arguments)
        Gems.load ? Kernel.gem(*arguments) : super
      end
    end
  end
end
